"""Language identification with the model that comes along."""

import pytest

from sixfold.systems.rag.clean.language import identify


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The committee will meet again next week to discuss the budget and the new building.", "en"),
        ("Der Ausschuss trifft sich nächste Woche wieder, um über den Haushalt zu sprechen.", "de"),
        ("Le comité se réunira la semaine prochaine pour discuter du budget et du bâtiment.", "fr"),
        ("Комитет снова соберётся на следующей неделе, чтобы обсудить бюджет и новое здание.", "ru"),
        ("委員会は来週また集まり、予算と新しい建物について話し合います。", "ja"),
        ("", "und"),
        ("12 34 -- \x00 ...", "und"),
    ],
)
def test_languages(text, code):
    assert identify(text).code == code


def test_a_foreign_menu_does_not_decide():
    article = "The committee will meet again next week to discuss the budget and the new building. " * 40
    found = identify("Startseite Über uns Kontakt Impressum Datenschutz Anmelden\n" * 3 + article)
    assert found.code == "en"
    assert found.score > 0.65
