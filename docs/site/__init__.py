"""How the pages become a site: settings of Sphinx, the navigation, files that pages link to."""
