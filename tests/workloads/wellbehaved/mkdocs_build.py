"""MkDocs building a site of many pages, once."""

import yaml
from mkdocs.commands import build
from mkdocs.config import load_config

from wellbehaved import made_files

PAGES = 2000


def run(stage):
    pages = made_files.make(stage, "pages", PAGES)
    settings = stage.folder / "mkdocs.yml"
    content = {
        "site_name": "Pages",
        "docs_dir": str(pages),
        "site_dir": str(stage.folder / "site"),
        "theme": {"name": "mkdocs"},
        "markdown_extensions": ["toc", "tables", "fenced_code"],
    }
    settings.write_text(yaml.safe_dump(content))
    stage.begin()
    config = load_config(str(settings))
    config.plugins.on_startup(command="build", dirty=False)

    def count(output, **_):
        stage.work.did()
        return output

    config.plugins.events["post_page"].append(count)
    build.build(config)
    config.plugins.on_shutdown()
