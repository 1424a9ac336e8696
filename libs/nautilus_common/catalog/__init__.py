"""Market data at rest: loaders of files, checks of columns, wranglers, and the Parquet catalogue."""
