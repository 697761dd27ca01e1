// Draws one dashboard from a real Prometheus: /?dashboard=fleet&from=…&to=…&step=…, times in seconds;
// every other parameter is a variable of the dashboard. Sets `document.body.dataset.done` when every
// panel is there.

import { applyFieldOverrides, createTheme, dateTime, transformDataFrame } from "@grafana/data";
import { GlobalStyles, PanelChrome, ThemeContext } from "@grafana/ui";
import { useEffect, useRef, useState } from "react";
import { createRoot } from "react-dom/client";
import { MemoryRouter } from "react-router-dom";
import { lastValueFrom } from "rxjs";

import { fields } from "./fields.js";
import { frames } from "./query.js";
import { Visualization } from "./visualization.jsx";

const theme = createTheme({ colors: { mode: "dark" } });
const parameters = Object.fromEntries(new URLSearchParams(location.search));
const { dashboard: name, from, to, step, ...variables } = parameters;
const [start, end] = [dateTime(Number(from) * 1000), dateTime(Number(to) * 1000)];
const range = {
  from: Number(from),
  to: Number(to),
  step: Number(step),
  zone: "utc",
  times: { from: start, to: end, raw: { from: start, to: end } },
};

async function load(panel) {
  const raw = await frames(panel, variables, range);
  const context = { interpolate: (text) => text };
  const transformed = await lastValueFrom(transformDataFrame(panel.transformations ?? [], raw, context));
  return applyFieldOverrides({
    data: transformed,
    fieldConfig: panel.fieldConfig,
    fieldConfigRegistry: fields,
    replaceVariables: (text) => text,
    theme,
    timeZone: range.zone,
  });
}

function place({ x, y, w, h }) {
  return { gridColumn: `${x + 1} / span ${w}`, gridRow: `${y + 1} / span ${h}` };
}

function Panel({ panel, drawn }) {
  const box = useRef(null);
  const [size, setSize] = useState(null);
  const [data, setData] = useState(null);
  useEffect(() => {
    setSize(box.current.getBoundingClientRect());
    load(panel).then(setData, (error) => drawn(`${panel.title}: ${error}`));
  }, [panel]);
  useEffect(() => {
    if (data) drawn(null);
  }, [data]);
  return (
    <div ref={box} style={place(panel.gridPos)}>
      {size && data && (
        <PanelChrome
          title={panel.title}
          description={panel.description}
          width={size.width}
          height={size.height}
        >
          {(width, height) => (
            <Visualization {...{ panel, data, theme, range, width, height }} />
          )}
        </PanelChrome>
      )}
    </div>
  );
}

function Dashboard({ model }) {
  const wanted = model.panels.filter(({ type }) => type !== "row").length;
  const state = useRef({ drawn: 0, faults: [] });
  const drawn = (fault) => {
    state.current.drawn += 1;
    if (fault) state.current.faults.push(fault);
    if (state.current.drawn === wanted) document.body.dataset.done = state.current.faults.join("\n");
  };
  return (
    <>
      <h1 className="title">{model.title}</h1>
      <div className="grid">
        {model.panels.map((panel) =>
          panel.type === "row" ? (
            <div key={panel.id} className="heading" style={place(panel.gridPos)}>{panel.title}</div>
          ) : (
            <Panel key={panel.id} panel={panel} drawn={drawn} />
          ),
        )}
      </div>
    </>
  );
}

const model = await (await fetch(`/dashboards/${name}.json`)).json();
createRoot(document.getElementById("root")).render(
  <ThemeContext.Provider value={theme}>
    <MemoryRouter>
      <GlobalStyles />
      <Dashboard model={model} />
    </MemoryRouter>
  </ThemeContext.Provider>,
);
