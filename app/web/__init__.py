"""HTTP infrastructure for the views: routes, request parsing, authentication, envelope, errors, OpenAPI, health."""
