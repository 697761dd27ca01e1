// A panel's inside, by the component that Grafana draws it with.

import { VizOrientation, getFieldDisplayValues } from "@grafana/data";
import { BarGauge, BigValue, Table, TimeSeries, VizRepeater } from "@grafana/ui";

function displayed(panel, data, theme, range) {
  return getFieldDisplayValues({
    data,
    theme,
    fieldConfig: panel.fieldConfig,
    reduceOptions: panel.options.reduceOptions,
    replaceVariables: (text) => text,
    sparkline: panel.options.graphMode === "area",
    timeZone: range.zone,
  });
}

function Repeated({ panel, data, theme, range, width, height, orientation, draw }) {
  return (
    <VizRepeater
      width={width}
      height={height}
      source={data}
      renderCounter={0}
      orientation={orientation}
      minVizHeight={panel.options.minVizHeight}
      maxVizHeight={panel.options.maxVizHeight}
      getValues={() => displayed(panel, data, theme, range)}
      renderValue={draw}
    />
  );
}

function Stat(props) {
  const { colorMode, graphMode, justifyMode, textMode, wideLayout } = props.panel.options;
  const draw = ({ value: { display, sparkline }, width, height, count }) => (
    <BigValue
      value={display}
      sparkline={sparkline}
      theme={props.theme}
      colorMode={colorMode}
      graphMode={graphMode}
      justifyMode={justifyMode}
      textMode={textMode === "auto" && count === 1 ? "value" : textMode}
      wideLayout={wideLayout}
      width={width}
      height={height}
      count={count}
    />
  );
  return <Repeated {...props} orientation={VizOrientation.Auto} draw={draw} />;
}

function Bars(props) {
  const { displayMode, namePlacement, showUnfilled, valueMode } = props.panel.options;
  const draw = ({ value, width, height, orientation }) => (
    <BarGauge
      value={value.display}
      field={value.field}
      display={value.view?.getFieldDisplayProcessor(value.colIndex)}
      theme={props.theme}
      orientation={orientation}
      displayMode={displayMode}
      namePlacement={namePlacement}
      showUnfilled={showUnfilled}
      valueDisplayMode={valueMode}
      width={width}
      height={height}
    />
  );
  return <Repeated {...props} orientation={VizOrientation.Horizontal} draw={draw} />;
}

export function Visualization(props) {
  const { panel, data, range, width, height } = props;
  if (data.length === 0 || data.every((frame) => frame.length === 0)) {
    return <p style={{ color: "#8e8e99", textAlign: "center" }}>{panel.fieldConfig.defaults.noValue ?? "No data"}</p>;
  }
  switch (panel.type) {
    case "timeseries":
      return (
        <TimeSeries
          frames={data}
          timeRange={range.times}
          timeZone={range.zone}
          legend={panel.options.legend}
          options={panel.options}
          width={width}
          height={height}
        />
      );
    case "stat":
      return <Stat {...props} />;
    case "bargauge":
      return <Bars {...props} />;
    default:
      return (
        <Table
          data={data[0]}
          width={width}
          height={height}
          initialSortBy={panel.options.sortBy}
          cellHeight={panel.options.cellHeight}
        />
      );
  }
}
