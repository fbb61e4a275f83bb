"""Which passage bears a statement out, in several languages."""

from __future__ import annotations

import pytest

from pipeline.evidence import Evidence
from pipeline.statements import sentences

ENGLISH = (
    "Data > Retention\nRaw plays are kept for 30 days. After that they are deleted and cannot be restored.",
    "Alerts > Windows\nAn alert rule looks at a window of 10 minutes unless another window is set for the rule.",
)

PAGES = {
    "de": (
        "Daten > Aufbewahrung\nRohe Wiedergaben werden 30 Tage lang aufbewahrt. Danach werden sie gelöscht.",
        "Alarme > Zeitfenster\nEine Alarmregel betrachtet ein Zeitfenster von 10 Minuten, wenn kein anderes gesetzt ist.",
    ),
    "fr": (
        "Données > Conservation\nLes lectures brutes sont conservées pendant 30 jours, puis elles sont supprimées.",
        "Alertes > Fenêtres\nUne règle d'alerte observe une fenêtre de 10 minutes, sauf si une autre est définie.",
    ),
    "ru": (
        "Данные > Хранение\nИсходные воспроизведения хранятся 30 дней, после чего удаляются.",
        "Оповещения > Окна\nПравило оповещения рассматривает окно в 10 минут, если не задано другое.",
    ),
    "ja": (
        "データ > 保存期間\n生の再生データは30日間保存され、その後削除されます。",
        "アラート > 時間枠\nアラートルールは、別の設定がない限り10分間の時間枠を見ます。",
    ),
    "ar": (
        "البيانات > الاحتفاظ\nيتم الاحتفاظ بعمليات التشغيل الأولية لمدة 30 يومًا ثم يتم حذفها.",
        "التنبيهات > النوافذ\nتنظر قاعدة التنبيه إلى نافذة مدتها 10 دقائق ما لم يتم تعيين نافذة أخرى.",
    ),
}

SAID = {
    "de": ("Rohe Wiedergaben bewahren wir 30 Tage auf.", "Das Zeitfenster einer Alarmregel hat 10 Minuten."),
    "fr": ("Nous conservons les lectures brutes 30 jours.", "La fenêtre d'une règle d'alerte est de 10 minutes."),
    "ru": ("Воспроизведения хранятся в исходном виде 30 дней.", "Окно правила оповещения — 10 минут."),
    "ja": ("再生データは30日間保存されます。", "アラートルールの時間枠は10分間です。"),
    "ar": ("نحتفظ بعمليات التشغيل الأولية لمدة 30 يومًا.", "مدة نافذة قاعدة التنبيه 10 دقائق."),
}


@pytest.mark.parametrize("language", PAGES)
def test_a_wrong_marker_is_moved_in_any_language(language: str) -> None:
    evidence = Evidence(PAGES[language])
    for right, statement in enumerate(SAID[language]):
        assert evidence.repaired(statement, right, statement) == right
        assert evidence.repaired(statement, 1 - right, statement) == right
        assert evidence.best(statement) == right


@pytest.mark.parametrize("language", PAGES)
def test_an_answer_in_another_language_than_its_passages_keeps_its_markers(language: str) -> None:
    evidence = Evidence(ENGLISH)
    for right, statement in enumerate(SAID[language]):
        assert evidence.repaired(statement, right, statement) == right


def test_what_no_passage_says_is_dropped_and_supplied_for_by_none() -> None:
    evidence = Evidence(ENGLISH)
    statement = "The cafeteria has soup and sandwiches for visitors."
    assert evidence.repaired(statement, 0, f"An alert rule looks at a window. {statement}") is None
    assert evidence.best(statement) is None


def test_a_number_that_no_passage_holds_is_not_borne_out_however_alike_the_words_are() -> None:
    evidence = Evidence(ENGLISH)
    assert evidence.best("Raw plays are kept for 30 days.") == 0
    assert evidence.best("Raw plays are kept for 60 days.") is None
    assert evidence.repaired("Raw plays are kept for 60 days.", 0, "Raw plays are kept for 60 days.") is None


def test_a_sentence_of_two_passages_may_cite_both() -> None:
    both = "Raw plays are kept for 30 days and an alert rule looks at a window of 10 minutes."
    assert [Evidence(ENGLISH).repaired(both, cited, both) for cited in (0, 1)] == [0, 1]


def test_without_passages_nothing_is_borne_out() -> None:
    assert Evidence([]).best("Raw plays are kept for 30 days.") is None


def test_sentences_end_where_their_script_says() -> None:
    assert sentences("Use ray.init or 0.5. Then stop! 三。四。") == [
        "Use ray.init or 0.5.",
        " Then stop!",
        " 三。",
        "四。",
    ]
