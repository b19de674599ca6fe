"""A filter of the notices' layouts, so that their templates can be laid out over many lines."""

from django import template
from django.template.defaultfilters import stringfilter

register = template.Library()


@register.filter(is_safe=True)
@stringfilter
def one_line(text: str) -> str:
    return " ".join(text.split())
