"""Products declared without Python: ``products.toml`` files, read into declarations and written from them.

::

    [products.mwmStar]
    summary = "The co-added spectrum of one star."

    [products.mwmStar.templates]              # without them: the tree's own, in every release that has the path
    dr19 = "$MWM_ASTRA/{v_astra}/spectra/star/@sdss_id_groups|/mwmStar-{v_astra}-{sdss_id}.fits"

    [products.mwmStar.parameters]
    sdss_id = { type = "int", doc = "The SDSS identifier of the star.", batch = true }
    v_astra = { doc = "The version of Astra.", default = { dr19 = "0.6.0" } }

    [[products.mwmStar.examples]]
    release = "dr19"
    parameters = { sdss_id = 114870783 }

Nothing is imported to read one: a file is read with the standard library's TOML.
"""
