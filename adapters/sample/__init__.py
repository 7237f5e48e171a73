"""The embedded sample: a synthetic market world of 90 days, equal on every machine, labelled as such."""
