"""Why a forecast was not given: one error type per kind of bad input, all `SignalError`.

::

    SignalError
    ├── ForecastInputError     scores, splits, calibration: shapes or values that mean nothing
    ├── TrainingError          a run that cannot start, finish or be trusted
    │   └── LeakDetected       a guard found the future in the features
    ├── FeatureError           live or batch input from which no feature row may be made
    │   ├── ShortHistory       fewer rows than lookback + warm-up
    │   ├── StaleHistory       the last row is older than allowed
    │   ├── HistoryGap         a row is missing inside the window
    │   ├── NotFinite          NaN or infinity
    │   └── FeatureMismatch    other names, order or version than the model was trained on
    ├── PlanError              an inference plan that is not well formed
    ├── InputError             a model input that cannot be used
    │   ├── InputShape         unknown name, wrong shape or wrong type
    │   └── NonFiniteInput     NaN or infinity
    ├── KernelError            the sandboxed kernel gave no answer
    │   ├── KernelTrap         out-of-bounds access, unknown instruction, stack exhausted
    │   ├── FuelExhausted      more work than the plan's measured cost allows
    │   ├── NonFiniteOutput    NaN or infinity in an output
    │   └── KernelMismatch     kernel.wasm is not the kernel that was asked for
    └── BundleError            a model bundle that must not be served
        ├── BundleUnsigned     no signature, or one by a key that is not trusted
        ├── BundleAltered      a file differs from its signed hash, is missing or is extra
        ├── BundleExpired      past ``expires_at``
        ├── BundleIncompatible other kernel, other features, other plan version
        └── BundleGolden       the golden vectors do not come out as signed

None of these is ever answered with a default, cached or stale number.
"""

from __future__ import annotations

from core.domain.errors import SignalError


class ForecastInputError(SignalError):
    """Probabilities, outcomes, quantiles or times that cannot be scored."""


class TrainingError(SignalError):
    """A training run that cannot start, finish or be trusted."""


class LeakDetected(TrainingError):
    """A leak guard found that a forecast knew its future."""


class FeatureError(SignalError):
    """Input from which no feature row may be made."""


class ShortHistory(FeatureError):
    """Fewer rows than lookback plus warm-up."""


class StaleHistory(FeatureError):
    """The last row is older than the model allows."""


class HistoryGap(FeatureError):
    """A row is missing, repeated or out of order."""


class NotFinite(FeatureError):
    """A feature or input is NaN or infinite."""


class FeatureMismatch(FeatureError):
    """Feature names, order or definition differ from those of training."""


class PlanError(SignalError):
    """An inference plan is not well formed: shapes, order of nodes, weights or size."""

    usual_mend = "train and build again: beta train CONFIG, then beta bundle build"


class InputError(SignalError):
    """The caller's input cannot be used."""

    usual_mend = "give finite float32 arrays in the shapes of the plan"


class InputShape(InputError):
    """An input is missing, unknown, or has another shape than the plan declares."""

    usual_mend = "give the inputs that the plan names, in its shapes"


class NonFiniteInput(InputError):
    """An input holds NaN or infinity."""


class KernelError(SignalError):
    """The sandboxed kernel gave no answer."""

    usual_mend = "beta bundle verify; scripts/build_kernel.sh builds the kernel again"


class KernelTrap(KernelError):
    """The kernel trapped: out-of-bounds access, unknown instruction or stack exhausted."""


class FuelExhausted(KernelError):
    """The kernel wanted more fuel than four times the measured cost of the plan."""


class NonFiniteOutput(KernelError):
    """An output holds NaN or infinity (overflow inside the model)."""


class KernelMismatch(KernelError):
    """The kernel file is not the one that was asked for."""


class BundleError(SignalError):
    """A model bundle that must not be served."""

    usual_mend = "beta bundle verify says what is wrong with it"


class BundleUnsigned(BundleError):
    """The bundle carries no signature, or one by a key that is not trusted."""


class BundleAltered(BundleError):
    """A file of the bundle differs from its signed hash, is missing or is extra."""


class BundleExpired(BundleError):
    """The bundle is past its ``expires_at``."""


class BundleIncompatible(BundleError):
    """The bundle was built for another kernel, other features or another plan version."""

    usual_mend = "build it with this version: beta bundle build"


class BundleGolden(BundleError):
    """The golden vectors do not come out as signed."""

    usual_mend = "build it with this version: beta bundle build"
