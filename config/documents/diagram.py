"""The entity-relationship diagram of what the library keeps, as Mermaid draws it.

Histories, made by one package for each of these, are left out, as is what packages keep themselves.
"""

from collections.abc import Iterator

from django.apps import apps
from django.db import models

OWN = ("catalog", "circulation", "billing", "alerts", "config")


def diagram() -> str:
    return "\n".join(["```mermaid", "erDiagram", *_entities(), *_relations(), "```"])


def own_models() -> list[type[models.Model]]:
    found = (model for label in OWN for model in apps.get_app_config(label).get_models())
    return [model for model in found if not hasattr(model, "history_object")]


def _entities() -> Iterator[str]:
    for model in own_models():
        yield f"    {model.__name__} {{"
        for field in model._meta.concrete_fields:
            yield f"        {_kind(field)} {field.column}{_mark(field)}"
        yield "    }"


def _relations() -> Iterator[str]:
    known = set(own_models())
    for model in own_models():
        for field in model._meta.concrete_fields:
            if isinstance(field, models.ForeignKey) and field.related_model in known:
                one = "|o" if field.null else "||"
                many = "o|" if field.unique else "o{"
                other = field.related_model.__name__
                yield f"    {other} {one}--{many} {model.__name__} : {field.name}"


def _kind(field: "models.Field[object, object]") -> str:
    kind = field.target_field if isinstance(field, models.ForeignKey) else field
    return type(kind).__name__.removesuffix("Field").lower() or "field"


def _mark(field: "models.Field[object, object]") -> str:
    if field.primary_key:
        return " PK"
    if isinstance(field, models.ForeignKey):
        return " FK"
    return " UK" if field.unique or _is_unique_by_itself(field) else ""


def _is_unique_by_itself(field: "models.Field[object, object]") -> bool:
    return any(
        constraint.fields == (field.name,) and constraint.condition is None
        for constraint in field.model._meta.total_unique_constraints
    )
