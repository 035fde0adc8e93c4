"""What is kept about a user as one document, and the end of an account. It knows every domain that keeps something."""
