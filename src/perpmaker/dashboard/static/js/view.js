/** What every component uses: the template function, and components that are drawn only when their input changed. */

const { Component, h, render } = globalThis.preact;
const { useEffect, useLayoutEffect, useMemo, useRef, useState } = globalThis.preactHooks;

/**
 * Templates. htm would keep each part without values for ever and hand it out again; such a part remembers the tree it was
 * first drawn in, and through it every tree since: 1 MB a second on a page with live tables. `this[0] = 3` is htm's own
 * way to say that a part is not to be kept.
 */
const html = globalThis.htm.bind(function make(type, properties, ...children) {
  this[0] = 3;
  return h(type, properties, ...children);
});

export { h, html, render, useEffect, useLayoutEffect, useMemo, useRef, useState };

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
