/** What each button means, in words: scope and consequences before, the engine's answer after. */

import { base, clean, decimal, rounded, toNumber } from "./format.js";
import { sendCommand } from "./server.js";

const ASK_AGAIN_MS = 700;
const GIVE_UP_MS = 60000;

export const KINDS = ["pause", "resume", "close", "kill"];
export const NAMES = {
  pause: "Pause", resume: "Resume", close: "Stop and close", kill: "KILL",
  pair_start: "Start pair", pair_stop: "Stop pair", pair_close: "Close pair",
  pair_pause: "Pause pair", pair_resume: "Resume pair", pair_answer: "Answer",
};

/**
 * Why a button does nothing now, "" when it works. Pause and KILL work whenever they could make things safer; what takes
 * on risk or costs money needs numbers that may be believed.
 */
export function unavailable(kind, status, freshness) {
  if (status === null) return "Nothing is known of the engine yet";
  const killed = status.kill_latched || status.state === "killed";
  if (kind === "kill") return killed ? "The kill switch is latched already" : "";
  if (killed) return "The kill switch is latched; only `perpmaker kill --clear` in a terminal lifts it";
  const quoting = status.strategies.some((row) => row.state !== "paused" && row.state !== "stopped");
  const paused = status.state === "paused" || status.strategies.some((row) => row.state === "paused");
  if (kind === "pause") return !quoting && status.state === "paused" ? "Paused already" : "";
  if (freshness !== "live") return "These numbers are old; wait for live ones";
  return kind === "resume" && !paused ? "Nothing is paused" : "";
}

/** The paragraphs of the dialog. `instrument` is "" for all markets. */
export function consequences(kind, status, instrument) {
  const concerned = status.open_orders.filter((row) => !instrument || row.instrument === instrument);
  const orders = concerned.filter((row) => !row.trigger).length; // what waits at the venue to close a position stays
  const stops = concerned.length === orders ? "" : ` ${concerned.length - orders} at the venue that would close one stay${concerned.length - orders === 1 ? "s" : ""} there.`;
  const held = positions(status, instrument);
  const where = instrument ? `on ${clean(instrument, 32)}` : "on all markets and accounts";
  const cancelled = `${orders} open order${orders === 1 ? "" : "s"} ${where} ${orders === 1 ? "is" : "are"} cancelled`;
  if (kind === "pause") {
    return [`${cancelled}, and no new quotes are placed.`, `Positions stay open: ${held}.${stops}`, "Resume quotes again."];
  }
  if (kind === "resume") {
    return [`Quoting starts again ${where}, within the limits of the configuration.`, `Position now: ${held}.`, "This does not lift a kill."];
  }
  if (kind === "close") {
    return [
      `${cancelled}, quoting pauses, and positions are flattened with reduce-only orders that take from the book.`,
      `To be closed: ${held}. This pays taker fees and whatever the price slips.`,
      "The engine keeps running, paused; Resume quotes again.",
    ];
  }
  return [
    `Latches the kill switch: all ${status.open_orders.length} open orders on every account and venue are cancelled, and no order is sent any more.`,
    `Positions are not closed; they stay open: ${positions(status, "")}.`,
    "The latch survives a restart. It cannot be lifted from this page: only `perpmaker kill --clear` in a terminal does, with a typed confirmation.",
  ];
}

function positions(status, instrument) {
  const rows = status.positions.filter((row) => (!instrument || row.instrument === instrument) && toNumber(row.qty));
  if (rows.length === 0) return "none";
  return rows.map((row) => `${decimal(row.qty)} ${base(row.instrument)} (${rounded(row.notional, 0)} ${clean(status.currency, 8)})`).join(", ");
}

/**
 * Send a command and follow it to its end. `report` gets {id, kind, state, text} each time something is known; `state` is
 * sending, accepted, done, refused or unknown. `more`: the `strategy` it is for, `arguments` of its own, its name `about`.
 */
export async function carryOut(kind, instrument, seenState, report, more = {}) {
  const { about = "", ...parts } = more;
  const command = { command_id: newId(), kind, seen_state: seenState, instrument, ...parts };
  const told = { id: command.command_id, kind, instrument, about };
  if (kind === "kill") command.reason = "from the dashboard";
  const startedAt = performance.now();
  report({ ...told, state: "sending", text: "" });
  for (;;) {
    const answer = await ask(command);
    report({ ...told, state: answer.state, text: answer.text });
    if (answer.state === "done" || answer.state === "refused") return;
    if (performance.now() - startedAt > GIVE_UP_MS) {
      report({ ...told, state: "unknown", text: "no final answer after a minute; look at the state, the orders and the log" });
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  }
}

async function ask(command) {
  try {
    return await sendCommand(command);
  } catch (error) {
    const offline = error instanceof TypeError || error.name === "TimeoutError";
    if (!offline) return { state: "refused", text: error.message };
    return { state: "unknown", text: "the dashboard's server does not answer; asking again" };
  }
}

function newId() {
  return [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
