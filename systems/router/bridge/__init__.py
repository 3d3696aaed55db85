"""C-FIND, C-MOVE and C-GET answered from a DICOMweb service: QIDO-RS to find, WADO-RS to fetch, C-STORE to send."""
