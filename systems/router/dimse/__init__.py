"""The router's DICOM upper layer and DIMSE services, server and client, on asyncio.

Receiving (`server`, `service`, `settings`)::

    server = DimseServer(DimseSettings(ae_title="QIETOAZURE"), handler)
    await server.start("127.0.0.1", 0); server.port; await server.stop(grace_seconds=10)

Sending (`client`, `planning`, `pool`)::

    association = await Association.connect(
        host, port, calling_ae=..., called_ae=..., contexts=plan_contexts([(sop_class, syntax)])[0])
    status = await association.c_store(sop_class, sop_instance, syntax, data)  # bytes or async iterable; NoAnswer
    async for status, identifier in association.c_find(STUDY_ROOT_FIND, keys): ...
    await association.release()

    pool = AssociationPool(idle_seconds=20)
    async with pool.association(Destination("ORTHANC", host, port, calling_ae="GDCM"), contexts) as association: ...
"""
