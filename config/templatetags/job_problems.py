"""The banner of the first page: what is wrong with the jobs, for those who may see them."""

from typing import Any

from django import template
from django.urls import reverse

from config import health
from config.unfold import may_see_jobs

register = template.Library()


@register.inclusion_tag("config/problems.html", takes_context=True)
def job_problems(context: dict[str, Any]) -> dict[str, Any]:
    if not may_see_jobs(context["request"]):
        return {}
    return {"problems": health.problems(), "jobs_url": reverse("admin:config_jobs")}
