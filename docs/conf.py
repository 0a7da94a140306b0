"""How Sphinx makes the site of these pages: `make docs`. Needs no network."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import rnas  # noqa: E402 - the checkout's own, installed or beside this folder

project = "rnas"
author = "the authors of rnas"
version = release = rnas.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "site_extension",
]
exclude_patterns = ["_build"]

# Markdown.
myst_enable_extensions = ["amsmath", "attrs_inline", "deflist", "dollarmath"]
myst_heading_anchors = 4
smartquotes = False  # two hyphens begin an option
html_math_renderer = "mathml"  # by browsers themselves; MathJax would come from elsewhere

nb_execution_mode = "cache"
nb_execution_in_temp = True  # runs of an earlier text are not in the way of a new one
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_output_stderr = "remove"  # progress lines

# Python. What is documented says its shapes, units and errors in Google's form.
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
# Ours are in backticks: a name, code, or words of a command.
default_role = "code"
python_maximum_signature_line_length = 88

# The page.
html_theme = "furo"
html_title = "rnas"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
copybutton_exclude = ".linenos, .gp, .go"
