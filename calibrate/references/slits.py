"""The fixed slits of NIRSpec, by the names of headers and references."""

SLITS = {"NRS_BRIGHTOBJ": "S1600A1"}  # of exposure types that know only one
NUMBERS = {"S200A1": 0, "S200A2": 1, "S400A1": 2, "S1600A1": 3, "S200B1": 4}  # rows of the table in MSA
