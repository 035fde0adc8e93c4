"""The transactional outbox: work to do after a commit, as messages written in that commit; the relay delivers them."""
