"""The back office at `/admin/`: pages for staff, over services that the API has too."""
