/** What every component uses: the template function, and components that are drawn only when their input changed. */

import { Component, h, html } from "../vendor/htm-preact/htm-preact.standalone.mjs";

export { html, h };
export {
  render,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "../vendor/htm-preact/htm-preact.standalone.mjs";

/** A component that keeps what it drew while every property stays the same (compared by identity). */
export function memo(draw) {
  return class extends Component {
    shouldComponentUpdate(next) {
      const names = Object.keys(next);
      return names.length !== Object.keys(this.props).length || names.some((name) => next[name] !== this.props[name]);
    }

    render(properties) {
      return h(draw, properties);
    }
  };
}
