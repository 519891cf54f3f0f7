"""Configuration: TOML in, one validated object out, or every error at once with key, value and what is allowed.

This module alone reads the environment: `PERPMAKER__SECTION__KEY` overrides a key, credentials come from variables or
from a private `.env`, never from the file. Parameters of a strategy's kind are kept as read; `strategies.registry` knows
them, and `config check` asks it.
"""

from __future__ import annotations

import difflib
import os
import stat
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

from dotenv import dotenv_values
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator

from perpmaker.errors import ConfigError

SCHEMA_VERSION: Final = 1
ENVIRONMENTS: Final = ("local", "testnet", "staging", "prod")
STRATEGY_COMMON_KEYS: Final = frozenset({"name", "kind", "account", "instrument"})
_PREFIX = "PERPMAKER__"


def _exact(value: object) -> object:
    """Decimals come from text, never through a float."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Exact = Annotated[Decimal, BeforeValidator(_exact), Field(allow_inf_nan=False)]
Positive = Annotated[Exact, Field(gt=0)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class AccountSection(Section):
    """One sub-account of one venue. `credentials` is the suffix of the variables: "1" reads GRVT_API_KEY_1."""

    venue: Annotated[str, Field(pattern=r"^(grvt|backpack|ccxt:[a-z0-9]+)$")] = "grvt"
    """Whose protocol the account speaks: grvt, backpack, or any exchange of ccxt as ccxt:ID."""
    credentials: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]*$")] = ""
    """Suffix of the variables that hold the account's credentials; unused for env = "local"."""
    local_account: Annotated[int, Field(ge=0, le=63)] = 0
    """Which account of the practice exchange's ready line, counted from 0; used by env = "local" alone."""
    session_max_age_s: Annotated[int, Field(ge=30, le=86_400)] | None = None
    """Log in again at this age of the session; none: shortly before the venue's cookie expires."""
    dead_man_s: Annotated[int, Field(ge=5, le=120)] = 25
    """Cancel-on-disconnect countdown, refreshed at a quarter of it."""
    quote_expiry_s: Annotated[int, Field(ge=60, le=120)] = 120
    """Signature expiration of resting quotes: a second dead-man switch."""
    instruments: Annotated[list[Annotated[str, Field(min_length=3)]], Field(max_length=64)] = []
    """What people execute on by hand, besides the instruments of the account's strategies."""


class RiskSection(Section):
    """Limits of the gate, in the reporting currency. Loosening one while running needs a confirmation."""

    max_position_notional: Positive = Decimal(5000)
    """Of one instrument on one account, with every open, in-flight and unknown order filled."""
    max_order_notional: Positive = Decimal(1000)
    """Of one order."""
    max_open_orders: Annotated[int, Field(ge=1, le=1000)] = 60
    """Open and in-flight orders of one account; a warning says when its strategies may keep more."""
    price_collar_bps: Annotated[Positive, Field(le=2000)] = Decimal(100)
    """How far a price may be from mark, index or own mid, whichever is worst."""
    orders_per_s: Annotated[Positive, Field(le=1000)] = Decimal(10)
    """New orders of one account within any second; cancels are not counted."""
    max_loss: Positive = Decimal(50)
    """Per UTC day, on equity (realised + unrealised + fees + funding); reaching it halts the account."""
    max_drawdown_frac: Annotated[Positive, Field(le=1)] = Decimal("0.05")
    """Share of the peak of equity; reaching it halts the account."""
    flatten_on_drawdown: bool = True
    """Whether a halt for drawdown also closes the positions."""
    close_max_slippage_bps: Annotated[Positive, Field(le=1000)] = Decimal(50)
    """How bad a price may be when positions are closed (`stop --close`, a halt that flattens)."""


class JournalSection(Section):
    """The append-only record of every intent, fill and command."""

    sync: Literal["group", "full"] = "group"
    """group: written before the first byte leaves, on disk within milliseconds. full: on disk first."""


class EngineSection(Section):
    """How the trading process itself runs."""

    rehearse_ms: Annotated[int, Field(ge=0, le=1000)] = 0
    """Walk the way from a frame to a signed order after this many quiet milliseconds, with nothing leaving, so that the
    next order finds it warm; costs some per cent of a core (about 8 at 2). 0: never."""
    record: bool = False
    """Record everything the engine sees and does, to be played again; the newest 20 GiB are kept."""


class PortSection(Section):
    port: Annotated[int, Field(ge=0, le=65_535)]


class ControlSection(PortSection):
    """The engine's control API, on 127.0.0.1 alone."""

    port: Annotated[int, Field(ge=0, le=65_535)] = 8411
    """Else the next free one; 0: any."""


class DashboardSection(PortSection):
    """The pages that `perpmaker up` serves, on 127.0.0.1 alone."""

    port: Annotated[int, Field(ge=0, le=65_535)] = 8410
    """Else the next free one; 0: any."""


class ExchangeSection(PortSection):
    """The practice exchange that `perpmaker up` starts for env = "local"."""

    port: Annotated[int, Field(ge=0, le=65_535)] = 8420
    """Else the next free one; 0: any."""
    market: Literal["simulated", "tape"] = "simulated"
    """Participants of its own, or a recording."""
    tape: list[str] = []
    """Tapes, folders of them or raw captures of Binance, for market = "tape"."""
    backpack_tape: list[str] = []
    """What its second venue plays at the same moments, where an account is on it."""
    seed: int = 1
    """Seed of the simulated market."""
    activity: Annotated[Exact, Field(ge=Decimal("0.1"), le=2)] = Decimal(1)
    """How often the simulated market's takers come and how large its orders are, as a multiple of the usual."""
    accounts: Annotated[int, Field(ge=1, le=64)] = 2
    """Funded accounts it makes."""
    history_s: Annotated[int, Field(ge=0, le=86_400)] = 900
    """How long the simulated market has traded already when a new exchange opens, so that charts are not empty."""
    fee_tier: Annotated[int, Field(ge=1, le=9)] | None = None
    """Fee tier of the venue's table; none: the fees last seen live."""


class MarginBracketSection(Section):
    """A range of a position's notional with its margin, as the venue's `margin_rules` has them; several in ascending order
    for one instrument. Each ends where the next begins; maintenance margin grows without a step where they meet."""

    instrument: str = ""
    """Whose it is; "": of every instrument that has none of its own."""
    up_to_notional: Positive | None = None
    """Where it ends, in quote units, itself not included; none: it is the last one."""
    maintenance_frac: Annotated[Exact, Field(gt=0, le=Decimal("0.5"))]
    """Maintenance margin, a fraction of the notional within the range."""
    initial_frac: Annotated[Exact, Field(gt=0, le=1)] | None = None
    """The least initial margin: with `leverage` above 1 / this no position grows into the range; none: any leverage."""


class SimulationSection(Section):
    """The simulated venue of `mode = "paper"` and of backtests; docs/explanation/simulation.md says what it does."""

    fill_model: Literal["queue", "optimistic", "pessimistic", "classic"] = "queue"
    """When a resting order fills; a backtest runs pessimistic, queue and optimistic unless it is told otherwise."""
    queue_model: Literal["power", "risk_averse"] = "power"
    """Who cancelled when a level shrinks: by a power law of the quantities before and behind us, or nobody before us."""
    queue_exponent: Annotated[int, Field(ge=1, le=10)] = 3
    """The power law's exponent."""
    entry_ms: Annotated[Exact, Field(ge=0, le=10_000)] = Decimal(20)
    """From our sending to the venue's gateway."""
    response_ms: Annotated[Exact, Field(ge=0, le=10_000)] = Decimal(20)
    """From the venue's word to our receipt."""
    latency: Literal["constant", "following", "tape", "samples"] = "constant"
    """constant: as above. following: what market data took last, at least as above. tape (backtests): interpolated between
    the medians of what market data took in each second of the tape. samples: drawn from `latency_samples`."""
    latency_samples: str = ""
    """A CSV of measured latencies with the columns entry_ns and response_ns, for latency = "samples"."""
    feed_ms: Annotated[Exact, Field(ge=0, le=10_000)] | None = None
    """Backtests: how long market data takes; none: as recorded."""
    price_band_bps: Annotated[int, Field(ge=0, le=10_000)] = 0
    """A limit price further than this from the mark is refused; 0: no band."""
    speed_bump_ms: Annotated[int, Field(ge=0, le=1000)] = 25
    """How long an order that may take waits in front of the venue's matching."""
    maker_fee_bps: Annotated[Exact, Field(ge=-10, le=100)] = Decimal("-0.01")
    """Of notional, above 0 is a cost; default: what live fills of an ordinary GRVT account showed."""
    taker_fee_bps: Annotated[Exact, Field(ge=-10, le=100)] = Decimal("4.5")
    """As `maker_fee_bps`."""
    balance: Positive = Decimal(10_000)
    """What an account begins with, in its settlement currency."""
    leverage: Annotated[int, Field(ge=1, le=100)] = 10
    """Initial margin is notional over this."""
    maintenance_bps: Annotated[Positive, Field(le=5000)] = Decimal(200)
    """Maintenance margin, of notional; below that equity the account is liquidated. For instruments without `brackets`."""
    brackets: Annotated[list[MarginBracketSection], Field(max_length=256)] = []
    """The venue's margin by notional, instead of `maintenance_bps`."""
    funding_rate_bps: Annotated[Exact, Field(ge=-100, le=100)] | None = None
    """Per funding interval, positive when longs pay; none: what the feed or the tape says, if it does."""

    @model_validator(mode="after")
    def _brackets_fit(self) -> SimulationSection:
        for name in dict.fromkeys(row.instrument for row in self.brackets):
            rows = [row for row in self.brackets if row.instrument == name]
            for place, row in enumerate(rows):
                said = f"brackets of {name or 'every instrument'}: {_shown(row)}:"
                if (row.up_to_notional is None) != (row is rows[-1]):
                    raise ValueError(f"{said} every bracket but the last one ends, with up_to_notional")
                if row.initial_frac is not None and row.initial_frac < row.maintenance_frac:
                    raise ValueError(f"{said} initial_frac must be at least maintenance_frac")
                before = rows[place - 1] if place else None
                if before is None or before.up_to_notional is None:
                    continue
                if row.up_to_notional is not None and row.up_to_notional <= before.up_to_notional:
                    raise ValueError(f"{said} must end above {before.up_to_notional}, where the one before ends")
                if row.maintenance_frac < before.maintenance_frac:
                    raise ValueError(f"{said} must not be below {before.maintenance_frac}, that of the one before")
        return self


def _shown(row: MarginBracketSection) -> str:
    ends = "" if row.up_to_notional is None else f"up_to_notional = {row.up_to_notional}, "
    initial = "" if row.initial_frac is None else f", initial_frac = {row.initial_frac}"
    return f"{ends}maintenance_frac = {row.maintenance_frac}{initial}"


class TuneRange(Section):
    """Where to look for one key; what is left out follows from the key's own range and default."""

    low: Exact | None = None
    """The least value to try; none: a quarter of the default, within what the key allows."""
    high: Exact | None = None
    """The greatest; none: four times the default."""
    log: bool = False
    """Whether equal ratios count as equal steps, for what spans more than one order of magnitude."""
    choices: Annotated[list[str], Field(max_length=16)] = []
    """Names to choose from, for keys that are names; none: all of them."""

    @model_validator(mode="after")
    def _is_a_range(self) -> TuneRange:
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"tune.vary: low = {self.low} must be below high = {self.high}")
        if self.log and self.low is not None and self.low <= 0:
            raise ValueError(f"tune.vary: low = {self.low} must be above 0 with log = true")
        return self


class TuneSection(Section):
    """What `perpmaker tune` may change, and what it looks for; the options of the command come first."""

    strategy: str = ""
    """Whose keys, by its name; none: the only strategy's."""
    objective: Literal["sharpe", "sortino", "pnl", "calmar", "cost"] = "sharpe"
    """What is made as large as possible; cost: as little loss per traded notional as possible."""
    vary: Annotated[dict[str, TuneRange], Field(max_length=32)] = {}
    """Keys of the strategy, dotted as on this page, each with its range: "quoting.layers" = { low = 1, high = 9 }."""


class StrategySection(Section):
    """One strategy: the common keys here, those of its kind in `params` as read."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
    """Names it in logs, tables and commands; each strategy has one of its own."""
    kind: str
    """Which strategy it is; decides which further keys there are. One of your own: FILE.py:CLASS, the file counted from
    the configuration's folder (docs/tutorial/your-first-strategy.md)."""
    account: str
    """The account it trades on, by the name of its section."""
    instrument: Annotated[str, Field(min_length=3)]
    """The instrument it trades, by the venue's own symbol; no two strategies share one on an account."""
    params: dict[str, Any] = {}
    """The keys of its kind, gathered when the file is read."""


class Config(Section):
    """A whole configuration file."""

    schema_version: Literal[1]
    """The version of this format."""
    env: Literal["local", "testnet", "staging", "prod"]
    """Which venue environment; local is the practice exchange on this machine."""
    mode: Literal["live", "paper"] = "paper"
    """live: orders go to the environment's venue. paper: its public market, simulated orders (`[simulation]`), no key."""
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")] = "engine"
    """The engine's name; with the environment it names the folder of journal and store."""
    instance: Annotated[int, Field(ge=0, le=4095)] = 1
    """Marks this engine's orders at the venue; two engines on one sub-account's owner need different ones."""
    log_level: Literal["DEBUG", "INFO", "WARNING"] = "INFO"
    """What the log holds at least."""
    account: Annotated[dict[str, AccountSection], Field(min_length=1)]
    risk: RiskSection = RiskSection()
    engine: EngineSection = EngineSection()
    journal: JournalSection = JournalSection()
    control: ControlSection = ControlSection()
    dashboard: DashboardSection = DashboardSection()
    exchange: ExchangeSection = ExchangeSection()
    simulation: SimulationSection = SimulationSection()
    tune: TuneSection = TuneSection()
    strategy: Annotated[list[StrategySection], Field(max_length=64)] = []

    @model_validator(mode="after")
    def _names_fit(self) -> Config:
        rows = [{"name": row.name, "account": row.account, "instrument": row.instrument} for row in self.strategy]
        problems = _misfits(self.account.keys(), rows)
        if problems:
            raise ValueError("\n".join(problems))
        return self


def _misfits(accounts: Iterable[str], strategies: Iterable[Mapping[str, Any]]) -> list[str]:
    """Say what does not fit together between strategies and accounts; what is no text is left to the field's own error."""
    problems: list[str] = []
    names: set[str] = set()
    makers: dict[tuple[str, str], str] = {}
    known = sorted(accounts)
    for row in strategies:
        name, account, instrument = (_text(row.get(key)) for key in ("name", "account", "instrument"))
        if name and name in names:
            problems.append(f"strategy.name: {name!r} is used twice; each strategy needs a name of its own")
        names.add(name)
        if account and known and account not in known:
            problems.append(f"strategy.account: {account!r} is not an account; allowed: {', '.join(known)}")
        if not (name and account and instrument):
            continue
        other = makers.setdefault((account, instrument), name)
        if other != name:
            problems.append(
                f"strategy.instrument: {name!r} and {other!r} both trade {instrument} on account "
                f"{account!r}; their orders could meet"
            )
    return problems


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


class Credentials(BaseModel):
    """What a gateway needs to log in and sign; secrets print as asterisks."""

    model_config = ConfigDict(frozen=True)

    api_key: SecretStr
    private_key: SecretStr
    sub_account_id: str


def load(path: Path, environment: Mapping[str, str] | None = None) -> Config:
    """Read and validate a configuration file whole; raise ConfigError with every problem in it."""
    return parse(read(path), os.environ if environment is None else environment, source=str(path))


def read(path: Path) -> dict[str, Any]:
    """Read a TOML file with exact decimals; raise ConfigError when it cannot be read or is not TOML.

    A strategy in a file of one's own (`kind = "my_maker.py:MyMaker"`) and a trained model (`regime.model`) are named by
    their whole path from here on.
    """
    try:
        return _with_whole_paths(tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal), path.parent)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start})") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}") from error


def _with_whole_paths(raw: dict[str, Any], folder: Path) -> dict[str, Any]:
    rows = raw.get("strategy")
    for row in rows if isinstance(rows, list) else ():
        kind = row.get("kind") if isinstance(row, dict) else None
        file, _, name = kind.rpartition(".py:") if isinstance(kind, str) else ("", "", "")
        if file:
            row["kind"] = f"{(folder / Path(file + '.py').expanduser()).resolve()}:{name}"
        regime = row.get("regime") if isinstance(row, dict) and kind == "market_maker" else None
        if isinstance(regime, dict) and isinstance(regime.get("model"), str) and regime["model"]:
            regime["model"] = str((folder / Path(regime["model"]).expanduser()).resolve())
    return raw


def parse(raw: Mapping[str, Any], environment: Mapping[str, str], *, source: str) -> Config:
    """Validate what `read` returned, with overrides from the environment applied."""
    config, problems, _ = examine(raw, environment)
    if config is None:
        raise wrong(source, problems)
    return config


def wrong(source: str, problems: Sequence[str]) -> ConfigError:
    """Return the error that lists all problems of a file."""
    return ConfigError("\n".join([f"{source}: {len(problems)} problem(s)", *(f"  {line}" for line in problems)]))


def examine(
    raw: Mapping[str, Any], environment: Mapping[str, str]
) -> tuple[Config | None, list[str], list[Mapping[str, Any]]]:
    """Return the configuration, or None and every problem; and the strategies as read, for their kinds to judge `params`.

    What does not fit together is named besides the fields that are wrong by themselves, as far as it can be judged.
    """
    merged = _with_overrides(raw, environment)
    strategies = merged.get("strategy")
    rows: list[Mapping[str, Any]] = []
    if isinstance(strategies, list):
        merged["strategy"] = [_split_params(row) for row in strategies]
        rows = [row for row in merged["strategy"] if isinstance(row, dict)]
    try:
        return Config.model_validate(merged), [], rows
    except ValidationError as error:
        found = error.errors()
    lines = [line for problem in found for line in _explain(problem)]
    if not any(problem["type"] == "value_error" for problem in found):  # then the whole was never looked at
        accounts = merged.get("account")
        lines += _misfits(accounts if isinstance(accounts, dict) else (), rows)
    return None, lines, rows


def _split_params(row: object) -> object:
    if not isinstance(row, dict):
        return row
    common = {key: value for key, value in row.items() if key in STRATEGY_COMMON_KEYS}
    return {**common, "params": {key: value for key, value in row.items() if key not in STRATEGY_COMMON_KEYS}}


def _with_overrides(raw: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Apply `PERPMAKER__RISK__MAX_LOSS=20` and the like; lists (strategies) cannot be overridden this way."""
    merged: dict[str, Any] = {key: dict(value) if isinstance(value, dict) else value for key, value in raw.items()}
    for variable, text in sorted(environment.items()):
        if not variable.startswith(_PREFIX):
            continue
        *sections, key = variable.removeprefix(_PREFIX).lower().split("__")
        target = merged
        for section in sections:
            inner = target.setdefault(section, {})
            if not isinstance(inner, dict):
                raise ConfigError(f"{variable}: {section!r} is not a section that a variable can override")
            target[section] = target = dict(inner)
        try:
            target[key] = tomllib.loads(f"value = {text}", parse_float=Decimal)["value"]
        except tomllib.TOMLDecodeError:
            target[key] = text
    return merged


_ALLOWED: Final = {
    "greater_than": "greater than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "literal_error": "one of {expected}",
    "string_pattern_mismatch": "text of the form {pattern}",
    "finite_number": "a finite number",
}


def _explain(problem: Any) -> list[str]:
    """Turn one pydantic error into "key: value is ...; allowed: ..." lines."""
    key = ".".join(str(part) for part in problem["loc"]) or "configuration"
    kind = problem["type"]
    if kind == "value_error":
        return str(problem["ctx"]["error"]).split("\n")
    if kind == "extra_forbidden":
        return [f"{key}: is not a known key{_meant(problem['loc'])}"]
    if kind == "missing":
        return [f"{key}: is missing"]
    value = problem["input"]
    shown = value if isinstance(value, str) else str(value)
    template = _ALLOWED.get(kind)
    allowed = template.format(**problem.get("ctx", {})) if template else problem["msg"].lower()
    return [f"{key}: {shown[:80]!r} is not allowed; allowed: {allowed}"]


def _meant(loc: tuple[int | str, ...]) -> str:
    """Return what an unknown key may have been meant for, else which keys there are in its place."""
    section: type[BaseModel] | None = Config
    for part in loc[:-1]:
        fields = section.model_fields if section is not None else {}
        if part in fields:  # else a name of an account, or a place in a list: one section stands for each
            section = _section_in(fields[str(part)].annotation)
    known = [field.alias or name for name, field in section.model_fields.items()] if section is not None else []
    near = difflib.get_close_matches(str(loc[-1]), known, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; known are {', '.join(known)}" if known else ""


def _section_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section_in(part)) is not None), None)


def failpoint(environment: Mapping[str, str] | None = None) -> str:
    """Return the plan of a crash test (engine.failpoints), "" for none: PERPMAKER_FAILPOINT, never in a file."""
    return (os.environ if environment is None else environment).get("PERPMAKER_FAILPOINT", "")


def runtime_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Return the user's folder for what lives as long as a login: XDG_RUNTIME_DIR, else where systemd puts it."""
    named = (os.environ if environment is None else environment).get("XDG_RUNTIME_DIR", "")
    return Path(named or f"/run/user/{os.getuid()}")


def credentials(
    account: AccountSection, environment: Mapping[str, str] | None = None, dotenv: Path | None = None
) -> Credentials:
    """Return the account's credentials from the environment, else from `.env`; raise ConfigError naming what is missing.

    A `.env` that others can read is refused.
    """
    variables = dict(_private_dotenv(dotenv)) if dotenv is not None else {}
    variables |= dict(os.environ if environment is None else environment)
    suffix = f"_{account.credentials}" if account.credentials else ""
    aliases = {
        "api_key": (f"GRVT_API_KEY{suffix}", f"GRVT_TRADING_API_KEY{suffix}"),
        "private_key": (f"GRVT_PRIVATE_KEY{suffix}", f"GRVT_TRADING_PRIVATE_KEY{suffix}"),
        "sub_account_id": (f"GRVT_TRADING_ACCOUNT_ID{suffix}", f"GRVT_SUB_ACCOUNT_ID{suffix}"),
    }
    found = {field: next((variables[n] for n in names if variables.get(n)), "") for field, names in aliases.items()}
    missing = [aliases[field][0] for field, value in found.items() if not value]
    if missing:
        raise ConfigError(f"credentials are missing: set {', '.join(missing)} in the environment or a private .env")
    if not found["sub_account_id"].isdigit():
        raise ConfigError(f"{aliases['sub_account_id'][0]} must be a whole number, as GRVT shows it")
    return Credentials(
        api_key=SecretStr(found["api_key"]),
        private_key=SecretStr(found["private_key"]),
        sub_account_id=found["sub_account_id"],
    )


class CcxtCredentials(BaseModel):
    """What ccxt needs to sign; secrets print as asterisks."""

    model_config = ConfigDict(frozen=True)

    api_key: SecretStr
    secret: SecretStr
    password: SecretStr | None = None


def ccxt_credentials(
    account: AccountSection, environment: Mapping[str, str] | None = None, dotenv: Path | None = None
) -> CcxtCredentials:
    """As `credentials`, for a venue behind ccxt: BACKPACK_API_KEY_1, BACKPACK_SECRET_1, ..._PASSWORD_1 if it has one."""
    variables = dict(_private_dotenv(dotenv)) if dotenv is not None else {}
    variables |= dict(os.environ if environment is None else environment)
    suffix = f"_{account.credentials}" if account.credentials else ""
    head = account.venue.removeprefix("ccxt:").upper()
    names = {field: f"{head}_{field.upper()}{suffix}" for field in ("api_key", "secret", "password")}
    missing = [names[field] for field in ("api_key", "secret") if not variables.get(names[field])]
    if missing:
        raise ConfigError(f"credentials are missing: set {', '.join(missing)} in the environment or a private .env")
    return CcxtCredentials.model_validate({field: variables.get(name) or None for field, name in names.items()})


def _private_dotenv(path: Path) -> Mapping[str, str]:
    if not path.exists():
        return {}
    if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ConfigError(
            f"{path}: others can read it (mode {stat.S_IMODE(path.stat().st_mode):04o}); run: chmod 600 {path}"
        )
    return {key: value for key, value in dotenv_values(path).items() if value is not None}
