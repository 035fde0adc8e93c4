"""Language processing shared by search, listings and moderation: normal form, tokens, synonyms, vocabulary.

Nothing here knows about goods, listings or the index.
"""
