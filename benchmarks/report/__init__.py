"""Write the results as a page and as charts."""
