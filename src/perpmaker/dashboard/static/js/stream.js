/** The live stream: frames in, acknowledgements out, and a new connection whenever one ends. */

const RETRY_MS = [250, 500, 1000, 2000];
const LOGGED_OUT = 4001;

/**
 * @param {{onFrame: (frame: object) => boolean, onState: (connected: boolean) => void, onLoggedOut: () => void, onTrouble: () => void}} page
 *   `onFrame` returns whether the frame fitted; where it did not, everything is asked for again. `onTrouble`: connecting
 *   failed more than once; a refused upgrade does not tell a page why.
 */
export function openStream(page) {
  let socket = null;
  let failures = 0;
  let ended = false;
  let timer = null;

  function connect() {
    timer = null;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const opened = new WebSocket(`${scheme}://${location.host}/api/stream`);
    socket = opened;
    opened.onmessage = (event) => {
      const frame = JSON.parse(event.data);
      failures = 0;
      const fitted = page.onFrame(frame);
      if (opened.readyState !== WebSocket.OPEN) return;
      opened.send(fitted ? `{"ack":${frame.number}}` : `{"ack":${frame.number},"resync":true}`);
    };
    opened.onopen = () => page.onState(true);
    opened.onclose = (event) => {
      if (socket !== opened) return;
      socket = null;
      page.onState(false);
      if (ended) return;
      if (event.code === LOGGED_OUT) page.onLoggedOut();
      else retry();
    };
  }

  function retry() {
    const wait = RETRY_MS[Math.min(failures, RETRY_MS.length - 1)];
    failures += 1;
    if (failures % 3 === 2) page.onTrouble();
    timer = setTimeout(connect, wait);
  }

  connect();
  return {
    /** Try at once, for a page that comes back to the front. */
    hurry() {
      if (timer === null) return;
      clearTimeout(timer);
      connect();
    },
    close() {
      ended = true;
      clearTimeout(timer);
      socket?.close(1000);
    },
  };
}
