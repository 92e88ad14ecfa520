"""HistoryAD: detect anomalies with a critic trained on a generator's history."""
