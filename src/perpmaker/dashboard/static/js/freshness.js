/** How old the numbers on the page are, and whether they may be believed. Pure: time is an input. */

export const STALE_MS = 2000;
/** Old enough to call the engine gone; the page is red at most 0.3 s later. */
export const GONE_MS = 2400;

/**
 * @param {{openedAt: number, frameAt: number|null, ageAtFrame: number|null, lagMs: number, connected: boolean, gap: boolean}} seen
 *   `frameAt`: when the last frame came here; `ageAtFrame`: how old the engine's word was then, by the server's clock.
 * @returns {{state: "connecting"|"live"|"stale"|"gone", ageMs: number|null}}
 */
export function judge(seen, now) {
  const ageMs = seen.frameAt === null || seen.ageAtFrame === null ? null : seen.ageAtFrame + seen.lagMs + (now - seen.frameAt);
  if (ageMs === null) return { state: now - seen.openedAt < GONE_MS ? "connecting" : "gone", ageMs: null };
  if (ageMs >= GONE_MS) return { state: "gone", ageMs };
  if (ageMs >= STALE_MS || !seen.connected || seen.gap) return { state: "stale", ageMs };
  return { state: "live", ageMs };
}
