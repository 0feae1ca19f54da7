"""Accounts, ads, creatives and videos as Graph nodes: only the fields that are asked for.

Source: `AdAccount`, `Ad`, `AdCreative` and `AdVideo` of facebook-business 26.0.3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from actuals_pipeline.graph_stand_in.graph_errors import invalid_parameter, unknown_field
from actuals_pipeline.graph_stand_in.world import Ad, AdAccount, NodeKind, World

PAGE_ID = "880000000000090"

_DEFAULT_FIELDS = {"account": ("account_id", "id")}


def account_node(account: AdAccount, now: datetime) -> dict[str, Any]:
    """Every field of an account that the stand-in knows; money texts are minor units."""
    offset = now.astimezone(account.zone).utcoffset()
    return {
        "id": f"act_{account.account_id}",
        "account_id": account.account_id,
        "name": account.plan.name,
        "currency": account.plan.currency,
        "timezone_name": account.plan.time_zone,
        "timezone_offset_hours_utc": offset.total_seconds() / 3600 if offset else 0,
        "account_status": 1,
        "disable_reason": 0,
        "spend_cap": "0",
        "business_name": "Graph API stand-in",
    }


def ad_node(ad: Ad, today: date) -> dict[str, Any]:
    """Every field of an ad that the stand-in knows."""
    return {
        "id": ad.ad_id,
        "account_id": ad.account_id,
        "name": ad.name,
        "adset_id": ad.adset_id,
        "campaign_id": ad.campaign_id,
        "adset": parent_node("adset", ad),
        "campaign": parent_node("campaign", ad),
        "effective_status": ad.status(today),
        "status": "ACTIVE" if ad.status(today) == "ACTIVE" else "PAUSED",
        "created_time": _stamp(ad.created_at),
        "updated_time": _stamp(ad.created_at),
        "creative": creative_node(ad),
    }


def campaign_node(ads: Sequence[Ad], world: World) -> dict[str, Any]:
    """Every field of a campaign that the stand-in knows, given its ads."""
    return parent_node("campaign", ads[0]) | _spending("campaign", ads, world, "stop_time")


def ad_set_node(ads: Sequence[Ad], world: World) -> dict[str, Any]:
    """Every field of an ad set that the stand-in knows, given its ads."""
    return parent_node("adset", ads[0]) | _spending("adset", ads, world, "end_time")


def _spending(kind: NodeKind, ads: Sequence[Ad], world: World, end_field: str) -> dict[str, Any]:
    """Status, days and budgets, in minor units; None where it has no such day."""
    budget = world.budget(kind, ads)
    status = "ACTIVE" if budget.is_active else "PAUSED"
    amounts = {"daily_budget": budget.daily_minor, "lifetime_budget": budget.lifetime_minor}
    days = {"start_time": budget.starts_at, end_field: budget.ends_at}
    return (
        {"status": status, "effective_status": status}
        | {name: str(minor or 0) for name, minor in amounts.items()}
        | {name: instant and _stamp(instant) for name, instant in days.items()}
    )


def parent_node(kind: NodeKind, ad: Ad) -> dict[str, Any]:
    """The campaign or ad set that `ad` belongs to."""
    node = {
        "id": getattr(ad, f"{kind}_id"),
        "account_id": ad.account_id,
        "name": getattr(ad, f"{kind}_name"),
        "effective_status": "ACTIVE",
        "status": "ACTIVE",
    }
    return node | ({"campaign_id": ad.campaign_id} if kind == "adset" else {})


def creative_node(ad: Ad) -> dict[str, Any]:
    """The ad's creative; its own `video_id` is the published rendition, not the uploaded video."""
    return {
        "id": ad.creative_id,
        "account_id": ad.account_id,
        "name": f"Creative of {ad.name}",
        "status": "ACTIVE",
        "object_type": "VIDEO",
        "video_id": ad.rendition_id,
        "effective_object_story_id": f"{PAGE_ID}_{ad.creative_id}",
        "object_story_spec": {
            "page_id": PAGE_ID,
            "video_data": {"video_id": ad.video_id, "title": ad.name},
        },
        "url_tags": f"utm_content={ad.ad_id}",
    }


def video_node(video_id: str, ad: Ad) -> dict[str, Any]:
    """The ad's video, uploaded or published, by the id it was asked for."""
    return {
        "id": video_id,
        "title": f"Stand-in video {ad.name}",
        "length": 15.0 + int(ad.ad_id[-1]),
        "created_time": _stamp(ad.created_at),
        "updated_time": _stamp(ad.created_at),
        "permalink_url": f"/{PAGE_ID}/videos/{video_id}/",
        "status": {"video_status": "ready"},
    }


def chosen(node: Mapping[str, Any], fields: str, kind: str) -> dict[str, Any]:
    """`id` and the `fields` of the node, such as `name,creative{id,video_id}`."""
    wanted = dict(_split(fields)) or dict.fromkeys(_DEFAULT_FIELDS.get(kind, ()), "")
    answer = {"id": node["id"]}
    for name, inner in wanted.items():
        if name not in node:
            raise unknown_field(name, kind)
        value = node[name]
        # Meta leaves out what has no value.
        if value is None:
            continue
        nested = isinstance(value, dict) and "id" in value
        answer[name] = chosen(value, inner, name) if nested else value
    return answer


def _split(fields: str) -> Iterator[tuple[str, str]]:
    """Names at the top level, each with what its braces hold."""
    if fields.startswith("["):
        fields = fields.strip("[]").replace('"', "")
    depth, start = 0, 0
    for position, character in enumerate(f"{fields},"):
        depth += (character == "{") - (character == "}")
        if character == "," and depth == 0:
            name, _, inner = fields[start:position].strip().partition("{")
            if name:
                yield name, inner.removesuffix("}")
            start = position + 1
    if depth:
        raise invalid_parameter(f"unbalanced braces in fields {fields!r}")


def _stamp(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%S%z")
