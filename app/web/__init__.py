"""All the HTTP there is besides the views: envelope, errors, authentication, parsing, paging, OpenAPI, health."""
