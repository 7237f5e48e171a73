"""Values of the domain: markets, money, fees, forecasts, decisions, errors. Knows no engine."""
