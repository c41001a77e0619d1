"""Pages that people use: static files, served as they are by the service of a system."""
