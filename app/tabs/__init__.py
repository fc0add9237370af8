"""Tabs of the web page, a module each with a function `tab` that adds it to the page under construction."""
