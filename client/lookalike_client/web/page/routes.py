"""The page's endpoints by their addresses."""

from __future__ import annotations

from starlette.routing import Route

from lookalike_client.web.page.items import Items
from lookalike_client.web.page.overview import Overview
from lookalike_client.web.page.quality import Quality
from lookalike_client.web.page.reviewing import Reviewing
from lookalike_client.web.page.searching import Searching
from lookalike_client.web.page.tasks import Tasks
from lookalike_client.web.page.uploading import Uploading
from lookalike_client.web.services import Endpoint, Services


def page_routes(services: Services, tasks: Tasks) -> list[Route]:
    """Return the routes; those that change something are refused on a read-only server."""
    overview, items = Overview(services), Items(services)
    searching, uploading = Searching(services), Uploading(services)
    reviewing, quality = Reviewing(services, tasks), Quality(services, tasks)
    read: dict[str, Endpoint] = {
        "session": overview.session,
        "collections": overview.collections,
        "status": overview.status,
        "failures": overview.failures,
        "picture": items.picture,
        "item": items.item,
        "fields": items.fields,
        "outcomes": uploading.outcomes,
        "review": reviewing.latest,
        "review/groups": reviewing.groups,
        "review/leaving": reviewing.leaving,
        "review/leaving.txt": reviewing.leaving_list,
        "task/{task}": quality.task,
        "report/drift": quality.drift_report,
        "report/{task}": quality.report,
        "recalls": quality.recalls,
        "map": quality.map,
    }
    # They read, but what they are asked does not fit an address.
    ask: dict[str, Endpoint] = {
        "search": searching.search,
        "query-picture": searching.take_picture,
        "browse": items.browse,
        "count": items.count,
        "review/start": reviewing.start,
        "analysis": quality.start,
        "task/{task}/stop": quality.stop,
    }
    change: dict[str, Endpoint] = {
        "collections/create": overview.create,
        "collections/update": overview.update,
        "failures/retry": overview.retry,
        "job": uploading.job,
        "upload": uploading.upload,
        "review/decide": reviewing.decide,
        "review/accept": reviewing.accept,
        "review/delete": reviewing.delete,
    }
    return [
        *(Route(f"/ui/{path}", each, methods=["GET"]) for path, each in read.items()),
        *(Route(f"/ui/{path}", each, methods=["POST"]) for path, each in ask.items()),
        *(
            Route(f"/ui/{path}", services.changing(each), methods=["POST"])
            for path, each in change.items()
        ),
    ]
