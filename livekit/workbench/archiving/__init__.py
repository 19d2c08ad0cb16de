"""The archive's pages: an executed notebook as one offline page, its neighbours, its upkeep."""
