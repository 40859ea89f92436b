"""How the documentation is built: `make docs`."""

import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "Lookalike"
author = "Lookalike contributors"
copyright = author
release = version = metadata.version("lookalike")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
    "extensions.contract",
    "extensions.python_api",
]
exclude_patterns = ["extensions"]

# Pages
html_theme = "furo"
html_title = f"Lookalike {release}"
html_static_path = ["_static"]
html_css_files = ["lookalike.css"]
html_theme_options = {
    "light_css_variables": {
        "color-brand-primary": "#0b5c70",
        "color-brand-content": "#0b6f87",
    },
    "dark_css_variables": {
        "color-brand-primary": "#62c5dd",
        "color-brand-content": "#62c5dd",
    },
}
html_show_sphinx = False
html_copy_source = html_show_sourcelink = False

# Markdown
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True

# The Python interface. Docstrings put code in single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
maximum_signature_line_length = 88
napoleon_google_docstring = True
napoleon_numpy_docstring = False

# Every reference leads somewhere, but to the outside: the build asks no other site.
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(typing|collections|datetime|decimal|pathlib|numpy|grpc|enum|types|uuid)\..*"),
    (
        "py:class",
        r"(bool|bytes|dict|float|int|list|object|str|tuple|Path|None|optional|datetime|F32)",
    ),
    ("py:class", r"Mapping\[str"),  # one that a line about an attribute cuts at its comma
    ("py:exc", r"OSError"),
    ("py:class", r"lookalike\.v1\..*"),  # generated; the contract's pages describe them
]
