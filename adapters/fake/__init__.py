"""Venues on loopback that keep their own truth: try everything offline, inject every fault, compare afterwards."""
