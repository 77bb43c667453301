"""4K charts: data model, problems, file formats, star rating. The ground floor: imports no other package."""
