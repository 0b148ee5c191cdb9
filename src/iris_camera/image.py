"""A picture's pixels as a type, for modules that hand pictures on and have to work where numpy is not installed."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Image = npt.NDArray[np.uint8]
else:
    Image = Any
