"""Labels of pictures, folders and videos."""
