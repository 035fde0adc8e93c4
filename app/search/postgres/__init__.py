"""The search engine in PostgreSQL: for several hosts, and for when the Whoosh index cannot be read.

models.py       its tables: the goods for sale with their tokens, and how frequent each word is
documents.py    writes goods into the table, in the transaction that changes them
filling.py      fills the table from the goods, beside a running market
statistics.py   counts words now and then, and keeps the counts in memory
snapshot.py     gathers the goods that may match a query, with their postings
engine.py       the engine: connections, statistics, snapshots
"""
