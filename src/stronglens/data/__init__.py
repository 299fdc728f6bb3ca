"""Images and tables: read, written, cut, stretched, augmented; the only reader of survey files."""
