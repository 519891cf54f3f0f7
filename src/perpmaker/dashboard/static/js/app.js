/** Puts the page together: log in, follow the stream, draw when there is something new. */

import { carryOut } from "./commands.js";
import { judge } from "./freshness.js";
import { base, decimal, middle } from "./format.js";
import * as pictures from "./picture.js";
import { Shell } from "./shell.js";
import { ownLevels } from "./series.js";
import { earlierLogs, login, NotLoggedIn, openSession } from "./server.js";
import { openStream } from "./stream.js";
import { LoginPage } from "./panels/login.js";
import { html, render } from "./view.js";

const AGES_MS = 200; // ages go on while no frame comes
const HIDDEN_MS = 200;
const MAX_ANSWERS = 5;
const PAGES = new Set(["market", "markets", "pairs", "engine", "logs"]);

const root = document.getElementById("app");
root.replaceChildren(); // the word that says that the page is loading
const seen = { openedAt: performance.now(), frameAt: null, ageAtFrame: null, lagMs: 0, connected: false, gap: false };
const now = {
  picture: pictures.empty(),
  page: "market",
  instrument: null,
  asking: null,
  answers: [],
  loggedIn: false,
  problem: "",
  drawn: { instrument: null, markers: [], lines: 0 },
};
let draws = 0;
let drawnAt = 0;
let frames = 0;
/** Calls the next drawing off; null while none is due. */
let callOff = null;
let stream = null;

// Drawing.

/** Draw soon: with the next screen refresh, or five times a second where nobody looks. */
function schedule() {
  if (callOff) return;
  if (document.hidden) {
    const timer = setTimeout(draw, HIDDEN_MS);
    callOff = () => clearTimeout(timer);
  } else {
    const refresh = requestAnimationFrame(draw);
    callOff = () => cancelAnimationFrame(refresh);
  }
}

function draw() {
  callOff = null;
  draws += 1;
  drawnAt = performance.now();
  if (!now.loggedIn) {
    render(html`<${LoginPage} problem=${now.problem} onLogin=${enter} />`, root);
    return;
  }
  const freshness = judge(seen, performance.now());
  document.body.dataset.freshness = freshness.state;
  document.title = titleOf(freshness);
  render(html`<${Shell} ...${{ ...now, seen, freshness, actions }} />`, root);
}

function titleOf(freshness) {
  if (freshness.state === "gone") return "✕ ENGINE GONE – perpmaker";
  if (freshness.state === "stale") return "STALE – perpmaker";
  const top = now.picture.status?.books[now.instrument];
  const mid = middle(top?.bid ?? null, top?.ask ?? null);
  return mid === null ? "perpmaker" : `${decimal(mid)} ${base(now.instrument)} – perpmaker`;
}

// What the page lets a person do.

const actions = {
  choose(instrument) {
    now.instrument = instrument;
    if (now.page !== "market") location.hash = "#/market";
    schedule();
  },
  ask(kind) {
    now.asking = kind;
    schedule();
  },
  cancel() {
    now.asking = null;
    schedule();
  },
  confirm(kind, instrument) {
    if (now.asking !== kind) return; // the second click of two
    now.asking = null;
    carryOut(kind, instrument, now.picture.status?.state ?? "", report);
    schedule();
  },
  /** Tell a pair something, or start one: `more` has `strategy`, `arguments`, `about`. */
  tellPair(kind, more) {
    carryOut(kind, "", now.picture.status?.state ?? "", report, more);
    schedule();
  },
  dismiss(id) {
    now.answers = now.answers.filter((answer) => answer.id !== id);
    schedule();
  },
  async needEarlierLogs() {
    try {
      now.picture = pictures.withEarlierLogs(now.picture, await earlierLogs());
    } catch {
      return; // the newest lines are there, and the next visit asks again
    }
    schedule();
  },
  drawn(chart) {
    now.drawn = chart;
  },
};

function report(answer) {
  const others = now.answers.filter((known) => known.id !== answer.id);
  now.answers = [...others, answer].slice(-MAX_ANSWERS);
  schedule();
}

// The stream.

function onFrame(frame) {
  frames += 1;
  if (frame.page !== document.documentElement.dataset.pageDigest) {
    reloadOnce(frame.page);
  }
  if (!pictures.fits(now.picture, frame)) {
    seen.gap = true;
    now.picture = { ...now.picture, number: 0 };
    schedule();
    return false;
  }
  now.picture = pictures.apply(now.picture, frame);
  seen.gap = false;
  seen.frameAt = performance.now();
  seen.ageAtFrame = frame.link.age_ms;
  seen.lagMs = frame.lag_ms;
  chooseFirst();
  schedule();
  return true;
}

/** The server was updated: load its pages, but never in a circle. */
function reloadOnce(digest) {
  if (sessionStorage.getItem("reloaded-for") === digest) return;
  sessionStorage.setItem("reloaded-for", digest);
  location.reload();
}

function chooseFirst() {
  const known = Object.keys(now.picture.status?.books ?? {});
  if (!known.includes(now.instrument)) now.instrument = known[0] ?? null;
}

function onState(connected) {
  seen.connected = connected;
  if (connected) now.picture = { ...now.picture, number: 0 };
  schedule();
}

/** The upgrade was refused, or the server is away: find out which. */
async function onTrouble() {
  try {
    await openSession();
  } catch (error) {
    if (error instanceof NotLoggedIn) leave("Your session has ended.");
  }
}

// Coming and going.

async function start() {
  const token = /^#([A-Za-z0-9_-]{32,})$/.exec(location.hash)?.[1];
  if (token) {
    history.replaceState(null, "", location.pathname); // out of the address bar, out of the history
    await enter(token);
    return;
  }
  try {
    await openSession();
    follow();
  } catch (error) {
    leave(error instanceof NotLoggedIn ? "" : "The dashboard's server does not answer.");
  }
}

async function enter(token) {
  try {
    await login(token);
    follow();
  } catch (error) {
    leave(error.message);
  }
}

function follow() {
  now.loggedIn = true;
  now.problem = "";
  seen.openedAt = performance.now();
  onRoute();
  stream?.close();
  stream = openStream({ onFrame, onState, onTrouble, onLoggedOut: () => leave("You were logged out.") });
  schedule();
}

function leave(problem) {
  stream?.close();
  stream = null;
  now.loggedIn = false;
  now.problem = problem;
  document.body.dataset.freshness = "connecting";
  render(null, root);
  schedule();
}

function onRoute() {
  const page = /^#\/([a-z]+)$/.exec(location.hash)?.[1];
  now.page = PAGES.has(page) ? page : "market";
  schedule();
}

/** For tests and curious people: copies of what is shown, nothing that could be changed. */
Object.defineProperty(window, "__perpmaker", {
  value: Object.freeze({
    read() {
      const { picture, instrument, drawn } = now;
      return structuredClone({
        draws,
        frames,
        frame: picture.number,
        freshness: judge(seen, performance.now()),
        connected: seen.connected,
        link: picture.link,
        instrument,
        status: picture.status,
        fills: picture.fills,
        candles: picture.candles.get(instrument) ?? [],
        ownLevels: ownLevels(picture.books.get(instrument)),
        markers: drawn.instrument === instrument ? drawn.markers : [],
        priceLines: drawn.instrument === instrument ? drawn.lines : 0,
      });
    },
  }),
});

addEventListener("hashchange", () => {
  if (/^#[A-Za-z0-9_-]{32,}$/.test(location.hash)) start();
  else onRoute();
});
document.addEventListener("visibilitychange", () => {
  callOff?.(); // or two chains of drawings would go on side by side
  callOff = null;
  stream?.hurry();
  schedule();
});
setInterval(() => now.loggedIn && performance.now() - drawnAt >= AGES_MS && schedule(), AGES_MS / 2);
start();
