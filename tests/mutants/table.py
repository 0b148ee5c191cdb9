"""All mutants: acceptance, delivery, recovery, decisions, archives."""

from tests.mutants.accepting import ACCEPTING
from tests.mutants.deciding import DECIDING
from tests.mutants.delivering import DELIVERING
from tests.mutants.recovering import RECOVERING
from tests.mutants.travelling import TRAVELLING

MUTANTS = (*ACCEPTING, *DELIVERING, *RECOVERING, *DECIDING, *TRAVELLING)
