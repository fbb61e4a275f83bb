"""Questions, answers, ratings and tenants in SQL (SQLAlchemy 2, SQLite or PostgreSQL)."""

from bot.store.budgets import SqlBudgets, Terms
from bot.store.consents import SqlConsents
from bot.store.database import (
    Engine,
    database_url,
    migrate,
    open_engine,
    pending_migration,
    prepare_workflow_database,
    sqlite_file,
    store_errors,
    workflow_database_url,
)
from bot.store.encryption import Cipher, new_key
from bot.store.escalations import Claim
from bot.store.experiments import SqlExperiments
from bot.store.freshness import SqlFreshness
from bot.store.installations import SlackInstallation, SqlInstallations, SqlOAuthStates
from bot.store.modes import SqlModes
from bot.store.notices import SqlNotices
from bot.store.promotions import SqlPromotions
from bot.store.rated import SqlRated
from bot.store.recent import RecentQuestion, SqlRecent
from bot.store.removal import Installed, SqlRemoval
from bot.store.rows import StoredQuestion, answer_id
from bot.store.sql import SqlStore
from bot.store.tenants import SqlTenants

__all__ = [
    "Cipher",
    "Claim",
    "Engine",
    "Installed",
    "RecentQuestion",
    "SlackInstallation",
    "SqlBudgets",
    "SqlConsents",
    "SqlExperiments",
    "SqlFreshness",
    "SqlInstallations",
    "SqlModes",
    "SqlNotices",
    "SqlOAuthStates",
    "SqlPromotions",
    "SqlRated",
    "SqlRecent",
    "SqlRemoval",
    "SqlStore",
    "SqlTenants",
    "StoredQuestion",
    "Terms",
    "answer_id",
    "database_url",
    "migrate",
    "new_key",
    "open_engine",
    "pending_migration",
    "prepare_workflow_database",
    "sqlite_file",
    "store_errors",
    "workflow_database_url",
]
