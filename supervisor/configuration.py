"""What is put into the run directory: nginx's and supervisord's configuration, its holes filled.

A hole is a name between two @. scripts/render-nginx does the same for those who run nginx without
start.py.
"""

import os

# File in the run directory: file in the checkout or the image.
SOURCES = {
    "nginx.conf": "nginx/nginx.conf.template",
    "log.conf": "nginx/log.conf",
    "metrics.conf": "nginx/metrics.conf",
    "cache.conf": "nginx/cache-@CACHE@.conf",
    "cache-spare.conf": "nginx/cache-@NO_CACHE@.conf",  # for cache_watch.py
    "errors.conf": "nginx/errors.conf",
    "probe.conf": "nginx/probe.conf",
    "refusals.conf": "nginx/refusals.conf",
    "responder.conf": "nginx/responder.conf",
    "fastcgi_params": "nginx/fastcgi_params",
    "supervisord.conf": "supervisor/supervisord.conf",
}


def holes(values, ipv6, told):
    """What fills the holes, from the settings, from whether the machine has IPv6, and from what the
    responder has told."""
    parts = parts_of(told["error_page"])
    project = values["GOOGLE_CLOUD_PROJECT"]
    return {
        "PORT": values["PORT"],
        "RUN_DIR": values["RUN_DIR"],
        "CACHE": values["CACHE"],
        "NO_CACHE": "on" if values["CACHE"] == "off" else "off",
        "METRICS": "include metrics.conf;" if values["METRICS_PORT"] else "",
        "METRICS_PORT": values["METRICS_PORT"],
        "ACCESS_LOG": values["ACCESS_LOG"],
        "TIME": '"$time_iso8601","ended":$msec' if values["ACCESS_LOG"] == "all" else '"$time"',
        "TRACES": f"projects/{project}/traces/" if project else "",
        "RUN": os.urandom(4).hex(),
        "LISTEN_IPV6": f"listen [::]:{values['PORT']} backlog=4096;" if ipv6 else "",
        "LANGUAGES": told["languages"],
        "PAGE_POLICY": told["page_policy"],
        "ERROR_PAGE_PARTS": "\n".join(
            f'map "" $error_page_{i} {{ default "{part}"; }}' for i, part in enumerate(parts)
        ),
        "ERROR_PAGE": "".join(f"$error_page_{i}" for i in range(len(parts))),
    }


def parts_of(page):
    """A page as strings of nginx, which takes up to 4096 bytes for one."""
    parts = [""]
    for line in page.replace("\\", r"\\").replace('"', r"\"").splitlines(keepends=True):
        if len((parts[-1] + line).encode()) > 4000:
            parts.append("")
        parts[-1] += line
    return parts


def fill(text, filling):
    for name, value in filling.items():
        text = text.replace(f"@{name}@", value)
    return text


def read(app):
    """The texts of all files, by their names in SOURCES with the holes filled."""
    names = {fill(source, {"CACHE": "on", "NO_CACHE": "off"}) for source in SOURCES.values()}
    texts = {}
    for name in names:
        with open(os.path.join(app, name), encoding="utf-8") as file:
            texts[name] = file.read()
    return texts


def render(texts, filling):
    """The files of the run directory, name and text each."""
    return {
        name: fill(texts[fill(source, filling)], filling) for name, source in SOURCES.items()
    }
