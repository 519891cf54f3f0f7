"""The keys of `[strategy.regime.blend]`: what each component of a trained model does to the quotes."""

from __future__ import annotations

from typing import Annotated

from perpmaker.strategies.quoting.multiples import Multiples
from perpmaker.strategies.schema import Table, key


class BlendParams(Table, frozen=True, kw_only=True):
    """Factors, weighted by how likely the model holds each component. Read with `regime.model` alone."""

    trending_gamma_mult: Annotated[
        float, key("", "In a trend gamma is so many times as large (without a gamma: the skew).", gt=0, le=20)
    ] = 2.0
    trending_kappa_mult: Annotated[
        float, key("", "Kappa likewise; less is wider (without a kappa: half-spread / this).", gt=0, le=20)
    ] = 0.7
    trending_spacing_mult: Annotated[float, key("", "And the layer spacing.", gt=0, le=20)] = 1.5
    ranging_gamma_mult: Annotated[float, key("", "Gamma in a ranging market.", gt=0, le=20)] = 1.0
    ranging_kappa_mult: Annotated[float, key("", "Kappa in a ranging market.", gt=0, le=20)] = 1.0
    ranging_spacing_mult: Annotated[float, key("", "Spacing in a ranging market.", gt=0, le=20)] = 1.0
    volatile_gamma_mult: Annotated[float, key("", "Gamma in a volatile market.", gt=0, le=20)] = 1.5
    volatile_kappa_mult: Annotated[float, key("", "Kappa in a volatile market.", gt=0, le=20)] = 0.5
    volatile_spacing_mult: Annotated[float, key("", "Spacing in a volatile market.", gt=0, le=20)] = 2.0
    spacing: Annotated[bool, key("", "Whether the layer spacing follows at all (the original's ml_grid_spacing).")] = (
        True
    )
    half_life_s: Annotated[
        float, key("s", "What the model says is averaged over about this time; 0 is not at all.", ge=0, le=3600)
    ] = 10.0
    max_age_s: Annotated[
        float, key("s", "Features of a book that has not changed for longer are not believed.", ge=0.5, le=600)
    ] = 5.0
    unknown_width_mult: Annotated[
        float,
        key(
            "",
            "While features are missing, of an old book, or unlike all the model was trained on, half-spread and spacing "
            "are so many times as wide and nothing else is changed.",
            ge=1,
            le=10,
        ),
    ] = 1.5

    def multiples(self) -> tuple[Multiples, ...]:
        """Return the factors of each component, in the order of `model.COMPONENTS`."""
        return (
            self._of(self.trending_gamma_mult, self.trending_kappa_mult, self.trending_spacing_mult),
            self._of(self.ranging_gamma_mult, self.ranging_kappa_mult, self.ranging_spacing_mult),
            self._of(self.volatile_gamma_mult, self.volatile_kappa_mult, self.volatile_spacing_mult),
        )

    def _of(self, gamma: float, kappa: float, spacing: float) -> Multiples:
        return Multiples(gamma=gamma, kappa=kappa, spacing=spacing if self.spacing else 1.0)
