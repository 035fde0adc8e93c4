"""What search, listings and moderation share of language: normal form, tokens, synonyms, vocabulary.

Nothing here knows goods, listings or an index.
"""
