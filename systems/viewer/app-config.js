// The set-up of the OHIF viewer. `settings` is what the server was started with; see docs/viewer.md.
window.config = (settings => {
  // The largest page that Microsoft's service gives (conformance statement, Search: limit 1 to 200).
  const PAGE = 200;
  const DICOMWEB = '@ohif/extension-default.dataSourcesModule.dicomweb';

  // Computed by Microsoft's service when asked for: ModalitiesInStudy, NumberOfStudyRelatedSeries and -Instances.
  const COMPUTED = ['00080061', '00201206', '00201208'];

  const values = (dataset, tag) => dataset[tag]?.Value ?? [];
  const text = (dataset, tag) => String(values(dataset, tag)[0] ?? '');

  // Every representation of a name is shown (PS3.5 6.2.1): a Latin transcription alone would rename people.
  const shownName = (dataset, tag) => {
    const name = values(dataset, tag)[0] ?? {};
    const shown = [name.Alphabetic, name.Ideographic].filter(Boolean).map(group => {
      const [family, ...rest] = group.split('^').map(part => part.trim());
      return [family, rest.filter(Boolean).join(' ')].filter(Boolean).join(', ');
    });
    return shown.length > 1 ? `${shown[0]} (${shown[1]})` : (shown[0] ?? '');
  };

  const shownStudy = dataset => ({
    studyInstanceUid: text(dataset, '0020000D'),
    date: text(dataset, '00080020'),
    time: text(dataset, '00080030'),
    accession: text(dataset, '00080050'),
    mrn: text(dataset, '00100020'),
    patientName: shownName(dataset, '00100010'),
    patientBirthDate: text(dataset, '00100030'),
    description: text(dataset, '00081030'),
    modalities: values(dataset, '00080061').join('/'),
    instances: Number(text(dataset, '00201208')) || 0,
    referringPhysicianName: shownName(dataset, '00080090'),
  });

  const page = async (query, authorization) => {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined && value !== null && value !== '' && value.length !== 0) {
        parameters.set(name, value);
      }
    }
    const answer = await fetch(`${settings.dicomweb}/studies?${parameters}`, {
      headers: { Accept: 'application/dicom+json', ...authorization },
      cache: 'no-store',
    });
    if (!answer.ok) {
      throw new Error(`the study list was answered with status ${answer.status}`);
    }
    return answer.status === 204 ? [] : answer.json();
  };

  // The viewer's own search asks for one page only: further studies would be missing without a word.
  const searchAll = (mapParams, authorization) => async parameters => {
    const query = mapParams(parameters, { supportsFuzzyMatching: true }) ?? {};
    const found = new Map();
    for (let offset = 0; ; offset += PAGE) {
      const includefield = [query.includefield, ...COMPUTED].filter(Boolean).join(',');
      const studies = await page({ ...query, includefield, limit: PAGE, offset }, authorization());
      studies.map(shownStudy).forEach(study => found.set(study.studyInstanceUid, study));
      if (studies.length < PAGE) {
        return [...found.values()];
      }
    }
  };

  // Studies are only asked for when nothing of them comes into the cache on disk any more (no-store.js). A browser
  // that has no workers, or is slow with them, shows the studies all the same.
  const guarded = (async () => {
    const workers = window.navigator.serviceWorker;
    const registration = await workers?.register('/no-store.js');
    if (registration && !workers.controller) {
      await new Promise(done => {
        workers.addEventListener('controllerchange', done, { once: true });
        window.setTimeout(done, 5000);
      });
    }
  })().catch(error => console.warn(`answers may be kept on disk: ${error}`));

  const wholeList = {
    id: 'whole-list',
    getDataSourcesModule: () => [
      {
        name: 'dicomweb',
        type: 'webApi',
        createDataSource: (configuration, servicesManager, extensionManager) => {
          const source = extensionManager
            .getModuleEntry(DICOMWEB)
            .createDataSource(configuration, servicesManager, extensionManager);
          const initialize = source.initialize.bind(source);
          source.initialize = async place => {
            await guarded;
            return initialize(place);
          };
          const { userAuthenticationService } = servicesManager.services;
          source.query.studies.search = searchAll(source.query.studies.mapParams, () =>
            userAuthenticationService.getAuthorizationHeader()
          );
          return source;
        },
      },
    ],
  };

  // Tokens live in the memory of the page only: no storage of the browser keeps them on disk.
  class InMemory {
    #kept = new Map();
    async get(key) {
      return this.#kept.get(key) ?? null;
    }
    async set(key, value) {
      this.#kept.set(key, value);
    }
    async remove(key) {
      const value = await this.get(key);
      this.#kept.delete(key);
      return value;
    }
    async getAllKeys() {
      return [...this.#kept.keys()];
    }
  }

  // Who opens a study in an emergency wants the images, not a tour of the tools.
  window.localStorage.setItem('shownTours', JSON.stringify(['basicViewerTour']));

  const signIn = settings.authority && [
    {
      authority: settings.authority,
      client_id: settings.clientId,
      scope: settings.scope,
      response_type: 'code',
      redirect_uri: '/callback',
      post_logout_redirect_uri: '/signed-out',
      userStore: new InMemory(),
      // Microsoft's identity provider has no endpoint for it; without this the sign-out would end in an error.
      revokeAccessTokenOnSignout: false,
      ...(settings.ownSignOut && {
        metadataSeed: { end_session_endpoint: `${window.location.origin}/signed-out` },
      }),
    },
  ];

  return {
    routerBasename: null,
    extensions: [wholeList],
    modes: [],
    customizationService: {},
    showStudyList: true,
    showWarningMessageForCrossOrigin: true,
    showCPUFallbackMessage: false,
    showLoadingIndicator: true,
    strictZSpacingForVolumeViewport: true,
    maxNumberOfWebWorkers: 3,
    investigationalUseDialog: { option: 'never' },
    defaultDataSourceName: 'cloud',
    ...(signIn && { oidc: signIn }),
    dataSources: [
      {
        namespace: 'whole-list.dataSourcesModule.dicomweb',
        sourceName: 'cloud',
        configuration: {
          friendlyName: settings.name,
          name: 'cloud',
          qidoRoot: settings.dicomweb,
          wadoRoot: settings.dicomweb,
          wadoUriRoot: settings.dicomweb,
          qidoSupportsIncludeField: true,
          supportsFuzzyMatching: false,
          supportsWildcard: false,
          imageRendering: 'wadors',
          thumbnailRendering: 'wadors',
          enableStudyLazyLoad: true,
          bulkDataURI: { enabled: true, relativeResolution: 'studies' },
        },
      },
    ],
  };
})(window.cloudViewer);
