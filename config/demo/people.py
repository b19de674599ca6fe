"""The demo's people: one login for each role, and readers with cards R0001 to R0040."""

from dataclasses import dataclass
from datetime import date, timedelta

from django.contrib.auth.models import Group

from catalog.text import fold
from circulation.models import Reader, ReaderCategory

PASSWORD = "carrel-demo"  # noqa: S105
DOMAIN = "demo.example"
# role (None: superuser), first name, last name
STAFF: tuple[tuple[str | None, str, str], ...] = (
    ("Librarian", "Ingrid", "Bergström"),
    ("Assistant", "Mateus", "Oliveira"),
    ("Cashier", "Fatima", "Haddad"),
    ("Auditor", "Piotr", "Zieliński"),
    (None, "Ada", "Okonkwo"),
)
ADULT, CHILD, TEACHER = "Adult", "Child", "Teacher"
CATEGORIES = (ADULT, CHILD, TEACHER)


@dataclass(frozen=True)
class Person:
    first_name: str
    last_name: str
    category: str = ADULT
    language: str = "en"
    parents_email: str = ""
    block_reason: str = ""
    is_expired: bool = False


# The place in the list is the card's number. The first ones play a part in lending.py.
READERS = (
    Person("Anna", "Kowalska", language="pl"),
    Person("Miguel", "Torres Vega", language="es"),
    Person("Chiara", "Esposito", language="it"),
    Person("Jean-Luc", "Moreau", language="fr"),
    Person("Søren", "Kjær", language="da"),
    Person("Thị Lan", "Nguyễn", language="vi", is_expired=True),
    Person("Oluwaseun", "Adeyemi", block_reason="Returned three books with torn pages"),
    Person("小明", "王", language="zh"),
    Person("Zoë", "Müller", CHILD, language="de", parents_email=f"mueller.family@{DOMAIN}"),
    Person("Ελένη", "Παπαδοπούλου", language="el"),
    Person("Yusuf", "Demir", TEACHER, language="tr"),
    Person("Ольга", "Соколова", language="ru"),
    Person("Aarav", "Patel", CHILD, parents_email=f"patel.family@{DOMAIN}"),
    Person("Siobhán", "O’Sullivan", TEACHER),
    Person("Kenji", "Watanabe", language="ja"),
    Person("Amina", "Diallo", language="fr"),
    Person("Lars", "Lindqvist", language="sv"),
    Person("Beatriz", "Almeida", language="pt"),
    Person("Tomáš", "Dvořák", language="cs"),
    Person("Leila", "Hosseini", TEACHER, language="fa"),
    Person("Noah", "van den Berg", CHILD, language="nl", parents_email=f"berg.family@{DOMAIN}"),
    Person("Ioana", "Popescu", language="ro"),
    Person("Mustafa", "Yıldız", language="tr"),
    Person("Ayşe", "Çelik", language="tr"),
    Person("Katarzyna", "Wójcik", language="pl"),
    Person("Bjørn", "Hansen", language="no"),
    Person("Mei-Ling", "Chen", language="zh"),
    Person("Dmytro", "Шевченко", language="uk"),
    Person("Emília", "Nagy", TEACHER, language="hu"),
    Person("Kwame", "Mensah"),
    Person("Rosa", "García Lorca", language="es"),
    Person("Ji-woo", "Kim", CHILD, language="ko", parents_email=f"kim.family@{DOMAIN}"),
    Person("Hanna", "Virtanen", language="fi"),
    Person("Samuel", "Cohen", language="he"),
    Person("Priya", "Raghunathan", language="ta"),
    Person("Željko", "Marković", language="hr"),
    Person("Eilidh", "MacLeod", TEACHER),
    Person("Pedro", "Núñez", language="es"),
    Person("Mārīte", "Ozoliņa", language="lv"),
    Person("Ahmed", "Benali", language="ar"),
)


def card(number: int) -> str:
    return f"R{number:04d}"


def email_of(role: str | None) -> str:
    return f"{(role or 'admin').lower()}@{DOMAIN}"


def make_staff() -> dict[str | None, Reader]:
    """Make the logins that are missing; return the accounts by role, the superuser's under None."""
    staff = {}
    for role, first_name, last_name in STAFF:
        account = Reader.objects.filter(email=email_of(role)).first()
        if account is None:
            account = Reader.objects.create_user(
                email_of(role),
                PASSWORD,
                first_name=first_name,
                last_name=last_name,
                is_staff=True,
                is_superuser=role is None,
            )
        if role is not None:
            account.groups.add(Group.objects.get(name=role))
        staff[role] = account
    return staff


def make_readers(*, today: date) -> dict[str, Reader]:
    """Make the readers that are missing; return all by card number."""
    categories = {name: ReaderCategory.objects.get_or_create(name=name)[0] for name in CATEGORIES}
    return {
        card(number): _make_reader(card(number), person, categories[person.category], today)
        for number, person in enumerate(READERS, start=1)
    }


def _make_reader(number: str, person: Person, category: ReaderCategory, today: date) -> Reader:
    reader = Reader.objects.filter(card_number=number).first()
    if reader is not None:
        return reader
    valid_days = -30 if person.is_expired else 60 + int(number[1:]) * 13
    return Reader.objects.create_user(
        None if person.parents_email else _email(person, number),
        contact_email=person.parents_email,
        first_name=person.first_name,
        last_name=person.last_name,
        card_number=number,
        category=category,
        language=person.language,
        expiry_date=today + timedelta(days=valid_days),
        is_blocked=bool(person.block_reason),
        block_reason=person.block_reason,
    )


def _email(person: Person, number: str) -> str:
    name = fold(f"{person.first_name} {person.last_name}").replace(" ", ".")
    return f"{name if name.isascii() else number.lower()}@{DOMAIN}"
