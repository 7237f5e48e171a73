"""Crypto spot venues: fees and public history of Binance and Kraken."""
